"""How a window of recent data is judged against the data a model was trained on."""
