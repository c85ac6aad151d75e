"""The centre: takes readings in, stores them, judges them for alarms and shows them to whoever may see them.

`sensing` takes in, `storage` is the only place with SQL, `operations` keeps house, `access` says who may do what, `api`
answers, `embedded` and `supervise` run it all on one machine. It knows no gateway, no simulator and no system.
"""
