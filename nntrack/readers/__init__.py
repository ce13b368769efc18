"""Archive readers: ``readers/<dataset>.py`` turns one archive into samples."""
