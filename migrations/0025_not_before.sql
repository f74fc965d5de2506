-- From when on ID tokens must be: whoever has one that was issued before, stolen or not, is told to sign in again. One time for the people of
-- each organization, one for the vendor's staff. Both only ever rise.
alter table organizations add column tokens_not_before timestamptz;
grant update (tokens_not_before) on organizations to admin;

create table catalog.staff_tokens (
  one        boolean primary key default true check (one),
  not_before timestamptz
);
insert into catalog.staff_tokens default values;
grant select, update (not_before) on catalog.staff_tokens to admin;
