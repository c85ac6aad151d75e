"""环境保护: converted stack values, emission rates, pollutant load, pH window, air quality index, emission limits."""
