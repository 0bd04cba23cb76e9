"""How the API server decides whether it asks a webhook: selectors, rules and match conditions, evaluated here."""
