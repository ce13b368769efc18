import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nntrack.reporting.screen import Screen


class Widget:
    """Stands for tkinter's classes: keeps what it was told."""

    def __init__(self, *args, **options):
        self.options, self.bound, self.gone = options, {}, False

    def title(self, text):
        self.text = text

    def protocol(self, name, action):
        self.bound[name] = lambda event: action()

    def bind(self, key, action):
        self.bound[key] = action

    def configure(self, **options):
        self.options |= options

    def pack(self):
        pass

    def update(self):
        pass

    def destroy(self):
        self.gone = True


class TclError(Exception):
    pass


def no_display():
    raise TclError("no display name and no $DISPLAY environment variable")


@pytest.fixture
def tkinter(monkeypatch):
    fake = SimpleNamespace(Tk=Widget, PhotoImage=Widget, Label=Widget, TclError=TclError)
    monkeypatch.setitem(sys.modules, "tkinter", fake)
    return fake


def test_frames_are_shown_until_the_window_is_closed(tkinter):
    screen = Screen("a.mp4")
    frame = np.zeros((2, 3, 3), np.uint8)
    frame[0, 0] = [1, 2, 3]
    screen.write(frame)
    assert screen._image.options["data"].startswith(b"P6") and screen._image.options["data"].endswith(bytes(15))
    assert bytes([3, 2, 1]) in screen._image.options["data"] and screen._root.text == "a.mp4"
    assert screen.open
    screen._root.bound["q"](None)
    assert not screen.open
    screen.close()
    assert screen._root.gone


def test_without_a_screen_or_tkinter_it_is_an_error(tkinter, monkeypatch):
    tkinter.Tk = no_display
    with pytest.raises(OSError, match=r"there is no screen \(no display name"):
        Screen("a")
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(OSError, match="this Python has no tkinter"):
        Screen("a")
