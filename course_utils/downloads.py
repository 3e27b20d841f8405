def is_writable(folder): return True
def fetch(*a, **k): raise NotImplementedError
