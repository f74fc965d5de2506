-- False if the number is taken: draw another.
create function directory.enter_license(p_number text, p_tenant uuid, p_license uuid) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with entered as (
    insert into directory.license_numbers (number, tenant_id, license_id) values (p_number, p_tenant, p_license)
    on conflict do nothing returning 1)
  select exists (select from entered)
$$;
revoke execute on function directory.enter_license from public;
