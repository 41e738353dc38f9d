"""Cancel from a program's window: a worker streams the answer, the main thread stops it.

$ python examples/cancel.py examples/images/before.png examples/images/after.png
The answer has begun. Stop!
It ended: cancelled
"""

from __future__ import annotations

import queue
import sys
import threading

import edge

Inbox = queue.Queue[edge.Event | edge.EdgeError]


def follow(stream: edge.EventStream, inbox: Inbox) -> None:
    """Hand every event to the main thread, as a window's signals would."""
    try:
        for event in stream:
            inbox.put(event)
    except edge.EdgeError as error:
        inbox.put(error)


def main(pictures: list[str]) -> None:
    """Run the window's loop: show what comes, and stop at the first word."""
    inbox: Inbox = queue.Queue()
    with edge.load() as engine:
        question = edge.user_message("What changed between the two pictures?", images=pictures)
        stream = engine.stream(edge.Request(messages=[question]))
        threading.Thread(target=follow, args=(stream, inbox)).start()
        has_begun = False
        while True:
            match inbox.get():
                case edge.ReasoningEvent() | edge.TextEvent() if not has_begun:
                    print("The answer has begun. Stop!")
                    has_begun = True
                    stream.cancel()  # returns at once; the worker gets the finish event
                case edge.FinishEvent(reason=reason):
                    print("It ended:", reason)
                    return
                case edge.EdgeError() as error:
                    print(error)
                    return


if __name__ == "__main__":
    main(sys.argv[1:])
