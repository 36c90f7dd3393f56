"""Is an answer right, which equations does it state, and what kind of mistake is it?"""
