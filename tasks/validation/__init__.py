"""What the manifest must fulfil before anything is trained: tables of facts, expectations on them, Data Docs."""
