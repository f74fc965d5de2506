-- Machines of a pool that may go on without contact: those whose session ended within their grace and those that hold a
-- seat and have earned it, less those that are both. No join of all seats with all graces: each part is one walk along
-- an index.
create function machines_on_grace(p_tenant uuid, p_pool uuid) returns int language plpgsql stable
set search_path = public, pg_temp as $$
declare terms record; ended int; seated int; twice int;
begin
  select i.offline_policy as policy, now() - public.lived_through(p.lease_ms, i.grace_after_heartbeats) as latest,
    case when p.grace_before > 0 then to_timestamp(p.grace_before / 1000.0) else 'infinity' end as before
  into terms
  from public.pools p join public.licenses i on i.tenant_id = p.tenant_id and i.license_id = p.license_id
  where p.tenant_id = p_tenant and p.pool_id = p_pool;
  select count(*) into ended from public.graces g
  where g.tenant_id = p_tenant and g.pool_id = p_pool and g.until > now();
  if terms.policy is distinct from 'grace' then return ended; end if;
  terms.latest := least(terms.latest, terms.before);
  select count(*) into seated from public.seats s
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.holder is not null and s.held_since <= terms.latest;
  select count(*) into twice from public.graces g
  where g.tenant_id = p_tenant and g.pool_id = p_pool and g.until > now() and exists (
    select from public.seats s
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.holder = g.holder and s.held_since <= terms.latest);
  return ended + seated - twice;
end $$;
revoke execute on function machines_on_grace from public;
grant execute on function machines_on_grace to admin;
