-- Organization, owner and first license for a person who has none, in one transaction; the p_… ids are drawn by the
-- caller. Who belongs to some already gets one of those: one they own before one of a colleague. Who was removed
-- everywhere has none. CREATED; ROTATED (came again before the license was used: the new secret replaces the old, the
-- first answer may have been lost); EXISTING (its license is in use: no key is shown); NO_PRODUCT. A taken number is an
-- error (UQ001, nothing written): draw another.
create function register_organization(
  p_issuer text, p_subject text, p_email text, p_address text, p_person text,
  p_organization text, p_organization_key text, p_product text,
  p_tenant uuid, p_user uuid, p_license uuid, p_pool uuid, p_number text, p_key_hmac text,
  out outcome text, out tenant_id uuid, out user_id uuid, out license_id uuid, out epoch_before bigint
) language plpgsql security definer set search_path = public, pg_temp as $$
declare product catalog.products; number_free boolean; candidate uuid; held text;
begin
  select * into product from catalog.products c where c.product = p_product or (p_product is null and c.is_default);
  if not found then
    outcome := 'NO_PRODUCT';
    return;
  end if;
  user_id := directory.enter_identity(p_issuer, p_subject, p_user);
  -- The directory remembers for good where somebody ever belonged; whether they still do is the organization's to say.
  for candidate in
    select i.tenant_id from directory.locate_identity(p_issuer, p_subject) i
    where i.tenant_id is not null order by 1
  loop
    perform set_config('app.tenant_id', candidate::text, true);
    select u.role into held from users u
    where u.tenant_id = candidate and u.user_id = register_organization.user_id and u.removed_at is null;
    if held = 'owner' or held is not null and tenant_id is null then
      tenant_id := candidate;
    end if;
    exit when held = 'owner';
  end loop;
  if tenant_id is not null then
    perform set_config('app.tenant_id', tenant_id::text, true);
    select l.license_id into license_id from licenses l
    where l.tenant_id = register_organization.tenant_id order by l.created_at, l.license_id limit 1;
    outcome := 'EXISTING';
    -- Whoever takes its first seat meanwhile holds the pool: then it is in use, or not yet.
    perform lock_pools(register_organization.tenant_id, register_organization.license_id);
    -- An organization that a colleague invited this person to is not theirs to rotate keys in.
    if exists (select from users u
      where u.tenant_id = register_organization.tenant_id and u.user_id = register_organization.user_id
        and u.role = 'owner')
      -- Asked of the seats, whose tickets stay when the session is long forgotten.
      and not exists (
        select from pools p join seats s on s.tenant_id = p.tenant_id and s.pool_id = p.pool_id
        where p.tenant_id = register_organization.tenant_id and p.license_id = register_organization.license_id
          and s.fence_seq > 0)
    then
      outcome := 'ROTATED';
    end if;
    return;
  end if;
  tenant_id := p_tenant;
  license_id := p_license;
  perform set_config('app.tenant_id', p_tenant::text, true);
  insert into organizations (tenant_id, name, name_key) values (p_tenant, p_organization, p_organization_key);
  insert into users (tenant_id, user_id, email, address, name, role)
  values (p_tenant, user_id, p_email, p_address, p_person, 'owner');
  perform directory.enter_tenant(p_issuer, p_subject, p_tenant);
  number_free := create_license(p_tenant, p_license, p_pool, p_number, p_key_hmac, product.product,
    product.registration_plan);
  if not number_free then raise exception 'license number taken' using errcode = 'UQ001'; end if;
  perform make_first_alert_rules(p_tenant);
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'organization.created', jsonb_build_object('user_id', user_id));
  outcome := 'CREATED';
end $$;
revoke execute on function register_organization from public;
grant execute on function register_organization to admin;
