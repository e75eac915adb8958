"""The wall: the only place that knows NumPy, dataframes, devices and dtypes."""
