-- Which user the person of an ID token is, and which organizations that person belongs to or once did.
create table directory.identities (
  issuer  text collate "C" not null,
  subject text collate "C" not null,
  user_id uuid not null,
  primary key (issuer, subject)
);
create table directory.identity_tenants (
  issuer    text collate "C" not null,
  subject   text collate "C" not null,
  tenant_id uuid not null,
  primary key (issuer, subject, tenant_id),
  foreign key (issuer, subject) references directory.identities
);
