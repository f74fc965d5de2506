-- Enters an identity if it is new and answers the user it belongs to. Holds the identity's row for the transaction, so
-- that two registrations of one person happen one after the other.
create function directory.enter_identity(p_issuer text, p_subject text, p_user uuid) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare found_user uuid;
begin
  insert into directory.identities (issuer, subject, user_id) values (p_issuer, p_subject, p_user)
  on conflict do nothing;
  select i.user_id into found_user from directory.identities i
  where i.issuer = p_issuer and i.subject = p_subject for update;
  return found_user;
end $$;
revoke execute on function directory.enter_identity from public;
grant execute on function directory.enter_identity to admin;
