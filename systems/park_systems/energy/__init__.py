"""能源消耗: coal equivalent and CO2 by the hour, balance of metering trees, demand, factors, tariffs."""
