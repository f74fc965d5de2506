"""placeholder"""
def bootstrap(run): raise NotImplementedError
