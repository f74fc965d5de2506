-- From when on ID tokens of the vendor's staff must be: a member of staff with a token issued before, stolen or not, is
-- told to sign in again. The time only ever rises. That of an organization's people is organizations.tokens_not_before.
create table catalog.staff_tokens (
  one        boolean primary key default true check (one), -- there is one row
  not_before timestamptz
);

grant select, update (not_before) on catalog.staff_tokens to admin;

insert into catalog.staff_tokens default values;
