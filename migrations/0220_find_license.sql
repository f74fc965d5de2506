-- A license key, judged by the records alone: the way in for a pool that Redis does not know, and for a key it does not
-- know. No row: unknown number or wrong secret. pool_id null: the license has no pool of that name.
create function find_license(p_number text, p_key_hmacs text[], p_pool text)
returns table (tenant_id uuid, license_id uuid, pool_id uuid)
language plpgsql security definer set search_path = public, pg_temp as $$
declare tenant uuid; license uuid;
begin
  select d.tenant_id, d.license_id into tenant, license from directory.locate_license(p_number) d;
  if tenant is null then return; end if;
  perform set_config('app.tenant_id', tenant::text, true);
  return query
    select tenant, license, (
      select p.pool_id from pools p
      where p.tenant_id = tenant and p.license_id = license and p.name = p_pool)
    where exists (
      select from license_keys k
      where k.tenant_id = tenant and k.license_id = license and k.key_hmac = any (p_key_hmacs)
        and (k.valid_until is null or k.valid_until > now()));
end $$;
revoke execute on function find_license from public;
grant execute on function find_license to service;
