"""The contract between the centre and its systems: frames, images, rules, and the vector kernel that evaluates them.

Pure: no connection, no clock, no logger. Needs numpy and pydantic only.
"""
