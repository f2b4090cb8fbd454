"""What joins rooms: whole studies as one command."""
