"""Serves the page and two ONNX files to browsers on this machine."""

import errno
import os
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from nntrack.deploy import pretrained

PAGE = Path(__file__).parent / "dist"
HOST = "127.0.0.1"  # browsers give the camera to pages of this machine without a certificate


def serve(models: str | os.PathLike[str] | None, port: int) -> ThreadingHTTPServer:
    """A server of the page with the networks in ``models``, which answers when its ``serve_forever`` is called.

    Raises FileNotFoundError if one of the networks or the page is not there, OSError if the port cannot be had.

    Args:
        models: folder of both networks; None for those of the last run, or of the package.
        port: 0 for a free one.
    """
    networks = pretrained.find(models)
    for path in networks:
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: make it with `dvc repro`, or name a folder (--models)")
    if not (PAGE / "index.html").is_file():
        raise FileNotFoundError(
            f"{PAGE} holds no page: build it with `npm ci && npm run build` in {PAGE.parent / 'page'}"
        )
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, networks=networks))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} is taken, perhaps by this page: name another (--port)") from error
        if error.errno == errno.EACCES:
            raise OSError(f"port {port} is not for users: name one of 1024 or above (--port)") from error
        raise


class _Handler(SimpleHTTPRequestHandler):
    """Answers with files of the page, and below ``models/`` with the two networks."""

    def __init__(self, *arguments: object, networks: tuple[Path, Path]) -> None:
        self._networks = {f"/models/{path.name}": path for path in networks}
        super().__init__(*arguments, directory=str(PAGE))  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """The file for the path of an address."""
        return str(self._networks.get(path.partition("?")[0]) or super().translate_path(path))

    def end_headers(self) -> None:
        """Send the headers, and that newer networks are to be fetched anew."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """Answer that there is nothing, as no list of files is offered."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing of every request."""
