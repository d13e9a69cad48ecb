"""What is acknowledged survives: kills, full disks, locks and cut lines, on real processes and real databases."""
