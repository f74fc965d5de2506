-- To whom a trial was given: keyed hashes, from which nobody's address can be read.
create table directory.trials (
  product   text collate "C" not null,
  kind      text collate "C" not null check (kind in ('mailbox', 'domain', 'network')),
  subject   text collate "C" not null,
  tenant_id uuid not null,
  given_at  timestamptz not null default now(),
  primary key (product, kind, subject, tenant_id)
);
