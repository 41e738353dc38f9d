"""How pictures look: fonts, backgrounds, shapes of the picture itself, and pictures of nothing known."""
