-- Which organization a public license number belongs to. As every table of `directory`, it is asked before the
-- organization is known: an exact key in, ids out, never a list. It has no business data and no row-level security; no
-- role that serves has a right on it, they come in through functions. A test counts the tables.
create table directory.license_numbers (
  number     text collate "C" primary key check (number ~ '^[0-9A-HJKMNP-TV-Z]{13}$'),
  tenant_id  uuid not null,
  license_id uuid not null
);
