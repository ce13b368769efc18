"""The page that runs both networks in a browser: its source (`page`), what is built of it (`dist`), and its server."""
