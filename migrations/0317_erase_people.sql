-- Last of all the people themselves, who left before, and what idempotent requests were answered: it is sealed, so
-- nobody knows which answers name whom, and all of this organization's are forgotten. That they were done is kept.
create function history.erase_people(p_tenant uuid, p_erasure uuid, p_users uuid[], out people bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  update public.users u set email = 'erased@erased.invalid', address = 'erased@erased.invalid',
    name = null, version = u.version + 1
  where u.tenant_id = p_tenant and u.user_id = any (p_users) and u.removed_at is not null
    and (u.email <> 'erased@erased.invalid' or u.name is not null);
  get diagnostics people = row_count;
  update public.idempotency_keys k set outcome = null where k.tenant_id = p_tenant and k.outcome is not null;
  -- What the vendor's staff was answered may name whoever was invited to a new organization.
  perform set_config('app.tenant_id', '00000000-0000-0000-0000-000000000000', true);
  update public.idempotency_keys k set outcome = null
  where k.tenant_id = '00000000-0000-0000-0000-000000000000' and k.outcome is not null;
  perform set_config('app.tenant_id', p_tenant::text, true);
end $$;
revoke execute on function history.erase_people from public;
grant execute on function history.erase_people to admin;
