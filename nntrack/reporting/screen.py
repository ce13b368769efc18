"""A window on the screen that shows frames, with what Python brings along: OpenCV comes without windows here."""

import cv2
import numpy as np

KEYS = ("q", "<Escape>")  # end the program


class Screen:
    """A window; open is False once its user has closed it or pressed one of `KEYS`.

    Raises OSError if there is no screen, or Python was built without tkinter.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            self._root = tkinter.Tk()
        except ImportError as error:
            raise OSError("this Python has no tkinter, which shows windows") from error
        except tkinter.TclError as error:
            raise OSError(f"there is no screen ({error})") from error
        self.open = True
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._end)
        for key in KEYS:
            self._root.bind(key, lambda event: self._end())
        self._image = tkinter.PhotoImage(master=self._root)
        self._label = tkinter.Label(self._root, image=self._image, borderwidth=0)
        self._label.pack()

    def write(self, frame: np.ndarray) -> None:
        """Show a frame (H, W, 3) BGR uint8, and see what the user does."""
        # PPM is the one format that every version of Tk reads, and takes least time
        self._image.configure(data=cv2.imencode(".ppm", frame)[1].tobytes(), format="PPM")
        self._root.update()

    def close(self) -> None:
        """Take the window away."""
        self._root.destroy()

    def _end(self) -> None:
        self.open = False
