"""What a device management pushes so that a coding tool goes through Switchyard: pure text, never a secret."""
