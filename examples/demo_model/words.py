"""Texts for signs: a list of short words, random letters, and numbers. Some words are kept for testing alone."""

from __future__ import annotations

import random

WORDS = (
    "OPEN", "STOP", "EXIT", "HELLO", "TAXI", "CAFE", "BANK", "HOTEL", "PARK", "SALE", "FREE", "SHOP", "FOOD",
    "MILK", "TEA", "BREAD", "FISH", "CAKE", "PIZZA", "WATER", "LEFT", "RIGHT", "UP", "DOWN", "PUSH", "PULL", "ON",
    "OFF", "YES", "NO", "GO", "WAIT", "SLOW", "FAST", "HOT", "COLD", "WET", "DRY", "NEW", "OLD", "BIG", "TINY",
    "LONG", "SHORT", "CAT", "DOG", "BIRD", "HORSE", "COW", "PIG", "SHEEP", "MOUSE", "BEAR", "LION", "TIGER", "WOLF",
    "FOX", "DUCK", "BEE", "ANT", "FROG", "SNAKE", "ZEBRA", "RED", "GREEN", "BLUE", "BLACK", "WHITE", "PINK", "GOLD",
    "GRAY", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "TEN", "SUN", "MOON", "STAR",
    "SKY", "RAIN", "SNOW", "WIND", "CLOUD", "TREE", "LEAF", "ROSE", "GRASS", "ROCK", "SAND", "SEA", "LAKE", "RIVER",
    "CAR", "BUS", "TRAIN", "BIKE", "BOAT", "SHIP", "PLANE", "ROAD", "HOME", "DOOR", "WALL", "ROOM", "BED", "DESK",
    "CHAIR", "TABLE", "LAMP", "BOOK", "PEN", "PAPER", "MUSIC", "ART", "GAME", "PLAY", "WORK", "REST", "LOVE",
    "PEACE", "HOPE", "JOY", "TIME", "DAY", "NIGHT", "YEAR", "WEEK", "KEY", "BOX", "BAG", "CUP", "PLATE", "FORK",
    "KNIFE", "SPOON", "SOAP", "BRUSH", "COAT", "SHOE", "HAT", "RING", "NORTH", "SOUTH", "EAST", "WEST", "CITY",
    "TOWN", "MAP", "GATE", "ZONE", "QUIET", "QUICK", "JUMP", "JAZZ", "VISA", "VIDEO", "EXTRA", "FLUX", "WAX", "MIX",
)  # fmt: skip
HELD_OUT = (
    "OPENS", "APPLE", "HOUSE", "PHONE", "TRUCK", "GRAPE", "WORLD", "RADIO", "QUEEN", "EXAM", "JUICE",
)  # fmt: skip


def sign_text(rng: random.Random, *, held_out: bool = False) -> str:
    """Draw a word (55 %), random letters (20 %) or a number (25 %).

    Args:
        rng: Source of chance.
        held_out: Half of the words come from the list that training never shows.
    """
    way = rng.random()
    if way < 0.55:
        return rng.choice(HELD_OUT) if held_out and rng.random() < 0.5 else rng.choice(WORDS)
    if way < 0.75:
        return _random_letters(rng)
    number = str(rng.randint(2, 9)) if rng.random() < 0.15 else str(rng.randint(10, 9999))
    return number if set(number) - set("01") else "42"


def practice_text(rng: random.Random) -> str:
    """Draw random letters in half of the cases, else as `sign_text`: a reader should not guess words."""
    return _random_letters(rng) if rng.random() < 0.5 else sign_text(rng)


def _random_letters(rng: random.Random) -> str:
    """Two to five letters that cannot be taken for a number, and never a held-out word."""
    while True:
        text = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=rng.randint(2, 5)))
        if set(text) - set("IO") and text not in HELD_OUT:
            return text
