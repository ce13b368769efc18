"""The report card: what people who wear the tracker feel, measured on any two networks in Opentrack's format."""
