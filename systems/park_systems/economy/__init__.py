"""经济运行: activity by electricity, monthly filings of the enterprises, output and tax per mu."""
