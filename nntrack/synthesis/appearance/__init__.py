"""What a head looks like and wears: skin, hair, glasses, masks, hands."""
