"""The engine: the update, the loop around it, and the hardware and processes they run on."""
