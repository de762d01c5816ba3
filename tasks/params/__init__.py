"""params.yaml, typed: every knob that changes a result. Sections carry the names of the stages that read them."""
