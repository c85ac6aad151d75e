"""The plug-in systems, data plus pure functions on park_sdk; none of them is built yet."""
