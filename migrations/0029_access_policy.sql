-- From where API tokens may be used, and how freshly and strongly people must have signed in for what cannot be undone.

-- Null: from everywhere. Never empty, since nobody could tell whether that means everywhere or nowhere.
alter table api_tokens add column allowed_networks cidr[] check (cardinality(allowed_networks) between 1 and 50);

-- Demanded of an organization's people for the operations of functions/src/admin/step_up.rs. Null: nothing.
alter table organizations
  add column step_up_max_age    int check (step_up_max_age between 60 and 2592000),    -- seconds since the sign-in, at most
  add column step_up_acr_values text[] check (cardinality(step_up_acr_values) between 1 and 10);  -- one of these as `acr`
grant update (step_up_max_age, step_up_acr_values) on organizations to admin;
