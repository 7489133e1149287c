"""What follows an upload without a file: members topped up, an upload taken back, destinations emptied."""
