"""Show both networks at work in the browser."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    models: Annotated[
        Path | None,
        typer.Option("--models", "-m", help="folder of both ONNX files; models/onnx, or those of the package"),
    ] = None,
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="of the page; 0 for a free one")] = 8765,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page")] = True,
) -> None:
    """Serve a page that tracks your head with both networks, on this machine alone; Ctrl-C ends it.

    Example: nntrack demo --models models/onnx
    """
    import webbrowser

    from nntrack.demo.server import serve

    with serve(models, port) as server:
        address = f"http://localhost:{server.server_port}/"
        print(f"{address} (Ctrl-C ends it)", flush=True)
        if browser:
            webbrowser.open(address)
        server.serve_forever()
