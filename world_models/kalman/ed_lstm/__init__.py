"""ED-LSTM: the baseline of the Kalman model (Chiappa and Paquet 2019, section 3.4)."""
