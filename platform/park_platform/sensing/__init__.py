"""The data-sensing platform (数据感知平台), centre side: from an MQTT message to a committed reading and its ack.

One worker process runs `intake.Intake`. It owns streams (`workers`), keeps each gateway's batches in order (`order`,
`gateway_stream`), decodes them into frames (`decode`), evaluates rules on them (`tick`) and commits everything in one
transaction (park_platform.storage.commit). Only then it publishes values and acks.
"""
