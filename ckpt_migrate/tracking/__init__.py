"""Tracking stores: where runs are read from. The only room that imports mlflow."""
