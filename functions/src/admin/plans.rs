//! The vendor's plans and products, and finding a license by its number.

use super::{
    AdminService,
    answer::{IfMatch, ListOf, PathTarget, not_found, versioned},
    callers::StaffCaller,
    filters::PageQuery,
    licenses::{
        term_views::Plan,
        terms::{PutPlan, named, present, text, whole, yes_or_no},
    },
    lists::ListFormat,
};
use crate::{
    edge::names,
    edge::{FieldChecks, JsonBody, Problem, QueryParameters},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::{id::LicenseNumber, trial::TrialPolicy},
    records::{self, Caller, Operation, ProductSettings},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// List plans
///
/// Those made last come first.
#[utoipa::path(get, path = "/api/v1/plans", tag = "Plans", params(PageQuery),
    responses((status = 200, description = "A page of plans", body = ListOf<Plan>)))]
pub(super) async fn list_plans(
    State(service): State<AdminService>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    format.answer(query.page()?, Plan::from, |page| service.records.plans(page)).await
}

/// Read a plan
#[utoipa::path(get, path = "/api/v1/plans/{plan}", tag = "Plans", params(("plan" = String, Path, description = "The plan's name")),
    responses((status = 200, description = "The plan", body = Plan, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_plan(
    State(service): State<AdminService>,
    PathTarget(name): PathTarget<String>,
) -> Result<Response, Problem> {
    let name = names::slug(&name).map_err(|_| not_found())?;
    let plan = service.records.plan(&name).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, plan.version, Plan::from(plan)))
}

/// Make or replace a plan
///
/// All of it: what is not said has its default. Licenses made from it stay as they are. Written into the staff's log.
#[utoipa::path(put, path = "/api/v1/staff/plans/{plan}", tag = "Staff", request_body = PutPlan,
    params(("plan" = String, Path, description = "The plan's name: 1 to 63 of a-z, 0-9 and -"),
           ("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "Replaced, or as it was", body = Plan, headers(("ETag" = String, description = "Its version"))),
              (status = 201, description = "Made", body = Plan, headers(("ETag" = String, description = "Its version"))),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn put_plan(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    PathTarget(name): PathTarget<String>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<PutPlan>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let name = named(&mut fields, "plan", &name);
    let terms = body.terms(&mut fields);
    let (name, terms) = fields.check(name.zip(terms))?;
    let put = service.management.put_plan(&caller, &name, &terms, version).await?;
    Ok(versioned(status(put.created), put.row.version, Plan::from(put.row)))
}

fn status(made: bool) -> StatusCode {
    if made { StatusCode::CREATED } else { StatusCode::OK }
}

/// A product that licenses are for.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"product": "coditect", "registration_plan": "trial", "is_default": true,
    "trials": {"mailbox": 1, "domain": null, "network": null, "days": 365}}))]
pub(super) struct Product {
    /// Its name, for good.
    product: String,
    /// The plan of the license that a registration for it gets.
    registration_plan: String,
    /// Whether a registration that names no product gets this one. One of them is.
    is_default: bool,
    /// How many trials of it are given.
    trials: TrialAllowance,
}

/// How many trials registrations are given within so many days, where the plan they get is a trial. Null: as many as
/// are asked for.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"mailbox": 1, "domain": 5, "network": null, "days": 365}))]
struct TrialAllowance {
    /// To one mailbox, however its address is written and however its owner signs in.
    #[schema(required)]
    mailbox: Option<u32>,
    /// To all mailboxes of one domain; domains where everybody may have one are not counted.
    #[schema(required)]
    domain: Option<u32>,
    /// To one address of the internet; of IPv6, to one /64.
    #[schema(required)]
    network: Option<u32>,
    /// How long a trial that was given counts.
    days: u32,
}

impl From<TrialPolicy> for TrialAllowance {
    fn from(it: TrialPolicy) -> Self {
        Self { mailbox: it.mailbox, domain: it.domain, network: it.network, days: it.days }
    }
}

impl From<records::ProductRow> for Product {
    fn from(it: records::ProductRow) -> Self {
        let ProductSettings { registration_plan, is_default, trials } = it.settings;
        Self { product: it.name, registration_plan, is_default, trials: trials.into() }
    }
}

/// List products
///
/// Those made last come first.
#[utoipa::path(get, path = "/api/v1/staff/products", tag = "Staff", params(PageQuery),
    responses((status = 200, description = "A page of products", body = ListOf<Product>)))]
pub(super) async fn list_products(
    State(service): State<AdminService>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    format.answer(query.page()?, Product::from, |page| service.records.products(page)).await
}

/// Read a product
#[utoipa::path(get, path = "/api/v1/staff/products/{product}", tag = "Staff", params(("product" = String, Path, description = "The product's name")),
    responses((status = 200, description = "The product", body = Product, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_product(
    State(service): State<AdminService>,
    PathTarget(name): PathTarget<String>,
) -> Result<Response, Problem> {
    let name = names::slug(&name).map_err(|_| not_found())?;
    let product = service.records.product(&name).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, product.version, Product::from(product)))
}

/// The whole of a product.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"registration_plan": "trial", "is_default": true, "trials": {"domain": 5}}))]
pub(super) struct PutProduct {
    /// The plan of the license that a registration for it gets.
    #[schema(required, value_type = String)]
    registration_plan: Option<Value>,
    /// Whether a registration that names no product gets this one; it then is the only one. False unless said.
    #[schema(value_type = Option<bool>)]
    is_default: Option<Value>,
    /// How many trials of it are given; one to a mailbox in 365 days unless said.
    #[schema(value_type = Option<PutTrials>)]
    trials: Option<Value>,
}

/// How many trials registrations are given within so many days. What is not said has its default; null: as many as are
/// asked for.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"domain": 5}))]
struct PutTrials {
    /// To one mailbox; 1 unless said.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    mailbox: Option<Value>,
    /// To all mailboxes of one domain; null unless said.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    domain: Option<Value>,
    /// To one address of the internet; null unless said.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    network: Option<Value>,
    /// How long a trial that was given counts; 365 unless said.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    days: Option<Value>,
}

fn trial_policy(fields: &mut FieldChecks, asked: Option<Value>) -> TrialPolicy {
    let Some(asked) = asked else { return TrialPolicy::default() };
    let Ok(asked) = PutTrials::deserialize(asked) else {
        fields.wrong("trials", "must be an object with some of mailbox, domain, network and days");
        return TrialPolicy::default();
    };
    let mut most = |field: &str, value: Option<&Value>, unless_said: Option<u32>| match value {
        None => unless_said,
        Some(Value::Null) => None,
        value => fields.optional(field, value, whole(1, 1_000_000)),
    };
    let default = TrialPolicy::default();
    TrialPolicy {
        mailbox: most("trials.mailbox", asked.mailbox.as_ref(), default.mailbox),
        domain: most("trials.domain", asked.domain.as_ref(), default.domain),
        network: most("trials.network", asked.network.as_ref(), default.network),
        days: fields.optional("trials.days", asked.days.as_ref(), whole(1, 36_500)).unwrap_or(default.days),
    }
}

/// Make or replace a product
///
/// Written into the staff's log.
#[utoipa::path(put, path = "/api/v1/staff/products/{product}", tag = "Staff", request_body = PutProduct,
    params(("product" = String, Path, description = "The product's name: 1 to 63 of a-z, 0-9 and -"),
           ("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "Replaced, or as it was", body = Product, headers(("ETag" = String, description = "Its version"))),
              (status = 201, description = "Made", body = Product, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: one product is always the default"),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn put_product(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    PathTarget(name): PathTarget<String>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<PutProduct>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let name = named(&mut fields, "product", &name);
    let plan = fields.required("registration_plan", body.registration_plan.as_ref(), |value| names::slug(text(value)));
    let is_default = fields.optional("is_default", body.is_default.as_ref(), yes_or_no).unwrap_or(false);
    let trials = trial_policy(&mut fields, body.trials);
    let (name, plan) = fields.check(name.zip(plan))?;
    let product = ProductSettings { registration_plan: plan, is_default, trials };
    let put = service.management.put_product(&caller, &name, &product, version).await?;
    Ok(versioned(status(put.created), put.row.version, Product::from(put.row)))
}

/// Whose license it is.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"number": "752KJY5EZQ1CW", "organization": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "license": "01a1fc28-9b31-70be-8112-4bfdb0eab10b"}))]
pub(super) struct LocatedLicense {
    /// The public number.
    number: String,
    /// The organization's id.
    organization: Uuid,
    /// The license's id.
    license: Uuid,
}

/// Find a license by its number
///
/// For support: the number is the first 13 symbols of a key after `CODI`, and tokens and logs say it too.
#[utoipa::path(get, path = "/api/v1/staff/licenses/{number}", tag = "Staff",
    params(("number" = String, Path, description = "The public number: 13 symbols of Crockford's base32")),
    responses((status = 200, description = "Where it is", body = LocatedLicense)))]
pub(super) async fn locate_license(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    PathTarget(number): PathTarget<LicenseNumber>,
) -> Result<axum::Json<LocatedLicense>, Problem> {
    let (tenant, license) = service.records.locate_license(number).await?.ok_or_else(not_found)?;
    let operation = Some(Operation { name: "GET /staff/licenses/{number}".into(), target: license.to_string() });
    let caller = Caller { tenant, operation, ..caller };
    service.records.note_read(&caller).await?;
    Ok(axum::Json(LocatedLicense { number: number.to_string(), organization: tenant.0, license: license.0 }))
}
