-- Prices of a tenant's own for calls of models, as a JSON list; they lie over the list prices.
CREATE TABLE own_prices (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    prices TEXT NOT NULL
);
