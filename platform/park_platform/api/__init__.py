"""The API: routes, the live stream, problem documents, and the door that every request passes.

No SQL and no arithmetic: it asks storage, within the scope of the caller, and writes the answer down.
"""
