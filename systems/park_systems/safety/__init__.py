"""安全应急: vessels, pipelines, gas levels and the ledger of special equipment."""
