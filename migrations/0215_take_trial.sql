-- Writes down that an organization's first license is a trial; or answers which limit of the product is reached, and
-- writes nothing. Products whose registration gives no trial have no limit. p_subjects: of each kind the hashes under
-- every accepted pepper, the current one first.
create function directory.take_trial(p_product text, p_tenant uuid, p_subjects jsonb) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare policy jsonb; limited text; hashes text[]; given bigint;
begin
  select p.trials into policy from catalog.products p join catalog.plans l on l.plan = p.registration_plan
  where p.product = p_product and l.trial_days is not null;
  if not found then return null; end if;
  -- Everybody in this order, so that nobody waits for each other.
  foreach limited in array array['mailbox', 'domain', 'network'] loop
    continue when not p_subjects ? limited;
    hashes := array(select jsonb_array_elements_text(p_subjects->limited));
    if policy->>limited is not null then
      -- Those who ask at once come one after the other, and each sees what was given before.
      perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'trial', p_product, limited, hashes[1]), 0));
      select count(distinct t.tenant_id) into given from directory.trials t
      where t.product = p_product and t.kind = limited and t.subject = any (hashes) and t.tenant_id <> p_tenant
        and t.given_at > now() - make_interval(days => (policy->>'days')::int);
      if given >= (policy->>limited)::bigint then return limited; end if;
    end if;
    insert into directory.trials (product, kind, subject, tenant_id) values (p_product, limited, hashes[1], p_tenant)
    on conflict do nothing;
  end loop;
  return null;
end $$;
revoke execute on function directory.take_trial from public;
grant execute on function directory.take_trial to admin;
