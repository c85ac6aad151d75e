"""The database and the broker that Parkhub brings along, from wheels, for a park that runs on one machine.

`postgres.Postgres` and `broker.Broker` each keep one folder; both are a `program.Service`, so a test starts them by
themselves and `park up` gives them to the supervisor.
"""
