"""The data storage centre (数据存储中心): the only place with SQL.

Functions take a psycopg connection and speak in arrays and frozen dataclasses; the transaction belongs to the caller
unless a docstring says otherwise. Every process connects with the database role of its own name.
"""
