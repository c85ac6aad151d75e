"""Reports: fetching what a report of a system needs, having it built, and writing the document as JSON and CSV."""
